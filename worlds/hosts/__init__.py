"""The host link: how a world daemon has zone clusters started, stopped and watched, here and on other
machines."""
