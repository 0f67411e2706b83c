#!/bin/sh
# Called by a PostgreSQL that is being restored: restore_wal.sh FOLDER NAME PATH. Exit code 1: there is no such piece.
# 126: it is there and cannot be read. PostgreSQL takes 1 for the end of the log, and gives up at more than 125.
set -eu
folder=$1 name=$2 path=$3
[ -e "$folder/$name.gz" ] || exit 1
gzip -dc "$folder/$name.gz" > "$path" || exit 126
