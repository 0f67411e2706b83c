#!/bin/sh
# Called by the embedded PostgreSQL for each finished piece of its log: archive_wal.sh FOLDER PATH NAME.
# Exit code 0 only when the piece is on the disk there; PostgreSQL keeps it and asks again otherwise.
set -eu
folder=$1 path=$2 name=$3
target=$folder/$name.gz
if [ -e "$target" ]; then
    # After a crash PostgreSQL may ask once more. Another content is of another server: never overwritten.
    gzip -dc "$target" | cmp -s - "$path" && exit 0
    echo "$target is there with another content: is this folder used by two servers?" >&2
    exit 1
fi
temporary=$folder/.$name.$$.part
trap 'rm -f "$temporary"' EXIT
gzip -1c "$path" > "$temporary"
sync "$temporary"
mv "$temporary" "$target"
sync "$folder"
