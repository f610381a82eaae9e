-- Whether what plays of a video is encrypted; before there is a plan, whether it is to be.
ALTER TABLE videos ADD COLUMN is_protected boolean NOT NULL DEFAULT false;
