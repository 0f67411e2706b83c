"""What processes tell of themselves: their metrics and pages, beside those of zone clusters."""
