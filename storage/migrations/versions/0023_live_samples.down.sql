DROP TABLE live_visitors;
DROP TABLE live_samples;
