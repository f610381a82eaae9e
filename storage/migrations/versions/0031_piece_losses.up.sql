-- `losses`: workers lost one after the other without a step kept between; `steps`: kept by the last.
ALTER TABLE video_chunks
    ADD COLUMN losses integer NOT NULL DEFAULT 0,
    ADD COLUMN steps integer NOT NULL DEFAULT 0;
