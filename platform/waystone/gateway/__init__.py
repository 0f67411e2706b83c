"""The gateway: holds players' world links. Knows sockets, sessions and routes; no game rules, no database."""
