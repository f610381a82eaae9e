-- What was for subscribers is its owner's alone: nobody who may not see it is shown it.
UPDATE videos SET publish_at = NULL, publish_as = NULL WHERE publish_as = 'subscribers';
UPDATE videos SET visibility = 'private' WHERE visibility = 'subscribers';
UPDATE lives SET visibility = 'private' WHERE visibility = 'subscribers';
UPDATE posts SET visibility = 'private' WHERE visibility = 'subscribers';
ALTER TABLE videos
    DROP CONSTRAINT videos_visibility_check,
    ADD CONSTRAINT videos_visibility_check CHECK (visibility IN ('public', 'unlisted', 'followers', 'private')),
    DROP CONSTRAINT videos_publish_as_check,
    ADD CONSTRAINT videos_publish_as_check CHECK (publish_as IN ('public', 'unlisted', 'followers'));
ALTER TABLE lives
    DROP CONSTRAINT lives_visibility_check,
    ADD CONSTRAINT lives_visibility_check CHECK (visibility IN ('public', 'unlisted', 'followers', 'private'));
ALTER TABLE posts
    DROP CONSTRAINT posts_visibility_check,
    ADD CONSTRAINT posts_visibility_check CHECK (visibility IN ('public', 'followers', 'private'));
DROP TABLE subscriptions;
DROP FUNCTION note_subscriber_change;
