-- Makes room for the table of that name that follows, which has an index more.
DROP TABLE IF EXISTS events;
