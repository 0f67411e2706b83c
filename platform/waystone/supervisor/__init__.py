"""`manage.py up`: starts, watches and stops every process of a deployment on one machine.

One thread, one loop, no Django: what needs the ORM is done by `manage.py prepare`, a child like the others.
"""
