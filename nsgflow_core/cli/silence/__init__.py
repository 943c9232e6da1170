"""The commands below `silence`."""
