"""What the death of media workers costs a video in the making, and whether it changes it."""
