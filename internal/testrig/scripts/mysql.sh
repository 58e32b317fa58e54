#!/bin/sh
# Turns an extracted unstable tree ($1) into a layer ($2) with MySQL in /opt/mysql, its programs on PATH
# through wrappers, and the mysql account of another tree ($3).
set -eu
from=$1 layer=$2 accounts=$3
opt=$layer/opt/mysql

mkdir -p "$opt/bin" "$opt/sbin" "$opt/share" "$layer/usr/local/bin" "$layer/usr/local/sbin" "$layer/etc"
lib=$(dirname "$(find "$from/usr/lib" -name 'ld-linux*.so*' | head -n 1)")
loader=$(basename "$(find "$lib" -name 'ld-linux*.so*' | head -n 1)")
mv "$lib" "$opt/libs"
mkdir -p "$opt/lib"
mv "$from/usr/lib/mysql" "$opt/lib/mysql"
mv "$from/usr/share/mysql" "$opt/share/mysql"
for program in mysql mysqladmin mysqldump mysqlbinlog; do
	mv "$from/usr/bin/$program" "$opt/bin/"
done
mv "$from/usr/sbin/mysqld" "$opt/sbin/"

# The server can also run under its own name: its ELF interpreter becomes the newer ld.so, by a path that
# is short enough to be written over the old one.
ln -s "libs/$loader" "$opt/ld.so"
perl -0777 -pi -e 's{(/lib(?:64)?/ld-linux[^\0]*\0)}{my $n = length $1; "/opt/mysql/ld.so" . "\0" x ($n - 16)}e' "$opt/sbin/mysqld"

wrapper() { # PATH PROGRAM
	printf '#!/bin/sh\nexec /opt/mysql/libs/%s --library-path /opt/mysql/libs /opt/mysql/%s "$@"\n' "$loader" "$2" >"$layer$1"
	chmod 755 "$layer$1"
}
for program in mysql mysqladmin mysqldump mysqlbinlog; do
	wrapper "/usr/local/bin/$program" "bin/$program"
done
wrapper /usr/local/sbin/mysqld sbin/mysqld

for file in passwd shadow group gshadow; do
	cp -p "$accounts/etc/$file" "$layer/etc/$file"
done
chmod -R go-w "$layer"
