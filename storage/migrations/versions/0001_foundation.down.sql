DROP TABLE idempotency_keys, event_deliveries, event_listeners, events, edges, placements, hosts,
    room_messages, lives, timelines, comments, likes, post_counters, post_videos, posts,
    video_chunks, upload_parts, uploads, videos, user_counters, follows, refresh_tokens, sessions, users;
DROP SEQUENCE incarnations;
DROP FUNCTION deliver_event();
