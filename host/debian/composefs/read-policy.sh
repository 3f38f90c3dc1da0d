#!/bin/sh
# Prints the mount policy of an image as shell variables, for root.sh. Runs when the initial RAM file system is built.
#
#     read-policy.sh [/usr/lib/composefs/setup-root-conf.toml]
#
# It knows the part of TOML that setup-root-conf.toml can be written in: tables, and keys with a string or a boolean.
# Anything else is refused: a policy that is not understood must not be weakened at boot.
set -eu

policy=${1:-/usr/lib/composefs/setup-root-conf.toml}
root_transient=false etc_mount='' etc_transient=false var_mount=''
if [ -f "$policy" ]; then
	table=''
	while IFS= read -r line || [ -n "$line" ]; do
		line=$(printf '%s\n' "$line" | sed -e 's/#.*//' -e "s/[[:space:]\"']//g")
		case "$line" in
		'') ;;
		'['*']') table=$line ;;
		*)
			value=${line#*=}
			case "$table${line%%=*}=$value" in
			'[root]transient=true' | '[root]transient=false') root_transient=$value ;;
			'[etc]transient=true' | '[etc]transient=false') etc_transient=$value ;;
			'[etc]mount=none' | '[etc]mount=root') etc_mount=none ;;
			'[etc]mount=transient' | '[etc]mount=volatile') etc_mount=transient ;;
			'[etc]mount=bind' | '[etc]mount=overlay') etc_mount=$value ;;
			'[var]mount=bind' | '[var]mount=none') var_mount=$value ;;
			'[var]transient=false') ;;
			*)
				echo "E: $policy: $table $line: not a mount policy known here" >&2
				exit 1
				;;
			esac
			;;
		esac
	done <"$policy"
fi
if [ -z "$etc_mount" ] && [ "$etc_transient" = true ]; then
	etc_mount=transient
fi

cat <<END
root_transient=$root_transient
etc_mount=${etc_mount:-bind}
var_mount=$var_mount
END
