-- What nothing ever wrote makes room for the table of that name that follows.
DROP TABLE IF EXISTS deployments;
