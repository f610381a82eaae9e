-- What is said in a video, as text in one language each. The bytes are an object: subtitles/{file} in the video's folder.
CREATE TABLE subtitles (
    video_id   uuid NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    language   text NOT NULL CHECK (language <> ''),
    label      text NOT NULL CHECK (label <> ''),
    origin     text NOT NULL CHECK (origin IN ('uploaded', 'automatic')),
    file       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (video_id, language)
);
