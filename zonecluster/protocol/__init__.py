"""Everything that crosses a wire: pure message types and protocol cores, no I/O, no clock, no Django."""
