-- Makes room for the table of that name that follows, which has the indexes of what is asked now.
DROP TABLE IF EXISTS events;
