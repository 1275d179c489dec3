"""Records, kinds and time: pure values that every other layer shares."""
