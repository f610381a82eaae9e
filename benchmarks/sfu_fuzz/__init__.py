"""Whether the parsers that strangers reach survive a hundred thousand mutated inputs each."""
