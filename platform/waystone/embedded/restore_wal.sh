#!/bin/sh
# Called by a PostgreSQL that is being restored: restore_wal.sh FOLDER NAME PATH. Exit code 1: there is no such piece.
set -eu
folder=$1 name=$2 path=$3
[ -e "$folder/$name.gz" ] || exit 1
gzip -dc "$folder/$name.gz" > "$path"
