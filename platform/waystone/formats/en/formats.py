"""Instants in ISO form, to the second: "10:29 a.m." tells nobody which save came first."""

DATETIME_FORMAT = "Y-m-d H:i:s"
