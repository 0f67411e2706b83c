"""How instants are written where Django's own formats lack what an operator needs."""
