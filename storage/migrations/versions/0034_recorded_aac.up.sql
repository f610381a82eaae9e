-- How far a recording's sound as AAC is; NULL: none is made, since it came as AAC or before there was this.
ALTER TABLE recordings
    ADD COLUMN aac text CONSTRAINT recordings_aac_check CHECK (aac IN ('making', 'made', 'left_out'));
