"""What a keyframe to a thousand viewers does to the sockets of the same edge."""
