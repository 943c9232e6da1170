"""What Azure wrote: paths, listings, block lists, records, flow tuples."""
