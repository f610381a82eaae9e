"""Whether this replica lives, may get requests, and how its parts are."""
