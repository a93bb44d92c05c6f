"""The machine and the disk: devices, precision, random streams, run folders, signals."""
