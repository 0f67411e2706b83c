"""The shop: Premium for money or by gift codes. Pure: prices, standing, terms, codes."""
