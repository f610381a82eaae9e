"""A simulated world for the hosting protocol: time, processes, storage, links, faults, a judge."""
