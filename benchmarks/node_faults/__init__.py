"""What the death of a node costs, and that of the head, in a cluster whose head carries nothing."""
