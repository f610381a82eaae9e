DROP TABLE feed_shown;
