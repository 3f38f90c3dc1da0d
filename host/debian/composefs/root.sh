# shellcheck shell=sh
# The root file system is the tree that composefs= on the command line names: what the scripts for initramfs-tools and
# dracut have in common. Sourced in the initial RAM file system as /usr/lib/composefs/root.sh.
#
#   physical root (by root=)     composed root
#     composefs/images/<id>   ->   /            EROFS metadata, measured before it is mounted
#     composefs/objects       ->   file data    the kernel checks every read (verity=require)
#     state/deploy/<id>/etc   ->   /etc         mutable, not authenticated
#     state/deploy/<id>/var   ->   /var         mutable, not authenticated
#     .                       ->   /sysroot     read-only
#
# <id> is the fs-verity digest of the image, in SHA-512 or SHA-256. Without a "?" before it, an image without that very
# digest never starts, whatever the disk says about itself. Of several digests, one for each format of the image, the
# first one counts of which the disk has an image.
#
# Everything below runs with the physical root as a hostile disk.

# Set by who sources this: where the physical root is mounted, and the composed one shall be.
cfs_root=${cfs_root:-/sysroot}
cfs_work=${cfs_work:-/run/composefs}
cfs_cmdline=${cfs_cmdline:-/proc/cmdline}
cfs_policy=${cfs_policy:-/usr/lib/composefs/policy}

# Mounts the tree over the physical root. To be called after cfs_parse_cmdline, when that has set cfs_digests.
cfs_compose()
{
	cfs_read_policy
	cfs_open_image
	cfs_mount_tree
	cfs_mount_state
	cfs_tidy
}

# Ends the boot. Nothing of the unverified disk stays in reach, and there is no shell: it would stand inside the
# measured boot. panic= says when to restart, as for the kernel; without it the message stays on the console.
cfs_refuse()
{
	echo "composefs: $*" >/dev/kmsg 2>/dev/null
	echo "composefs: boot refused: $*" >/dev/console 2>/dev/null || echo "composefs: boot refused: $*"
	umount -l "$cfs_root" 2>/dev/null
	umount -l "$cfs_root" 2>/dev/null
	case "${cfs_panic:-}" in
	-*) echo b >/proc/sysrq-trigger ;;
	'' | 0 | *[!0-9]*) ;;
	*) sleep "$cfs_panic" && echo b >/proc/sysrq-trigger ;;
	esac
	while :; do sleep 3600; done
}

# Sets cfs_digests to words such as "n:sha512:<id>" or, where fs-verity may be missing, "y:sha512:<id>": every
# composefs.digest= of a kind known here, then every composefs=. It stays empty only where the command line has none
# of either. Double quotes protect blanks, as the kernel reads them. systemd.volatile= gives up the /var of the
# deployment.
cfs_parse_cmdline()
{
	line='' cfs_named='' cfs_plain='' cfs_seen=n
	read -r line <"$cfs_cmdline" || [ -n "$line" ] || cfs_refuse "cannot read $cfs_cmdline"

	# Quoted parts are cut out: no parameter here has a blank in its value.
	rest=$line line=''
	while :; do
		part=${rest%%\"*}
		line=$line$part
		[ "$part" != "$rest" ] || break
		rest=${rest#*\"}
		part=${rest%%\"*}
		case "$part" in *[[:blank:]]*) ;; *) line=$line$part ;; esac
		[ "$part" != "$rest" ] || break
		rest=${rest#*\"}
	done

	set -f
	for token in $line; do
		value=${token#*=} optional=n
		case "$value" in '?'*) optional=y value=${value#?} ;; esac
		case "$token" in
		composefs.digest=*)
			cfs_seen=y
			case "$value" in
			v[12]-sha512-12:*) cfs_named="$cfs_named $optional:sha512:${value#*:}" ;;
			v[12]-sha256-12:*) cfs_named="$cfs_named $optional:sha256:${value#*:}" ;;
			esac
			;;
		composefs=*)
			cfs_seen=y
			case ${#value} in
			64) cfs_plain="$cfs_plain $optional:sha256:$value" ;;
			*) cfs_plain="$cfs_plain $optional:sha512:$value" ;;
			esac
			;;
		systemd.volatile=state | systemd.volatile=overlay) cfs_volatile=y ;;
		panic=*) cfs_panic=$value ;;
		esac
	done
	set +f

	cfs_digests="$cfs_named$cfs_plain"
	[ "$cfs_seen" = n ] || [ -n "$cfs_digests" ] || cfs_refuse "composefs.digest= names no format known here"
	for token in $cfs_digests; do
		value=${token#*:*:}
		case "$value" in *[!0-9a-f]*) cfs_refuse "composefs= is not a digest in lower-case hexadecimal" ;; esac
		case "$token" in
		?:sha256:*) [ ${#value} -eq 64 ] || cfs_refuse "composefs= has ${#value} digits, expected 64" ;;
		*) [ ${#value} -eq 128 ] || cfs_refuse "composefs= has ${#value} digits, expected 128" ;;
		esac
	done
}

cfs_read_policy()
{
	root_transient=false etc_mount=bind var_mount=''
	# shellcheck source=/dev/null
	[ ! -r "$cfs_policy" ] || . "$cfs_policy"
	if [ -z "$var_mount" ]; then
		if [ "${cfs_volatile:-n}" = y ]; then var_mount=none; else var_mount=bind; fi
	fi
}

# Sets cfs_id to the first digest of which the disk has an image, opens that as descriptor 3 and measures it there. The
# kernel's measurement is the only one that also binds later reads. Until the image is mounted the descriptor stays
# open: it holds the file, and every name on the way to it, in memory, where the disk cannot change them.
cfs_open_image()
{
	cfs_id='' cfs_optional=n cfs_algorithm='' missing=''
	for token in $cfs_digests; do
		cfs_id=${token#*:*:}
		missing="$missing $cfs_id"
		[ -f "$cfs_root/composefs/images/$cfs_id" ] || continue
		cfs_optional=${token%%:*}
		cfs_algorithm=${token#*:}
		cfs_algorithm=${cfs_algorithm%%:*}
		break
	done
	[ -n "$cfs_algorithm" ] || cfs_refuse "the disk has no image$missing"
	exec 3<"$cfs_root/composefs/images/$cfs_id"
	found=$(fsverity measure /proc/self/fd/3 2>/dev/null) || found=
	found=${found%% *}
	cfs_verity=,verity=require
	[ "$found" != "$cfs_algorithm:$cfs_id" ] || return 0
	[ -z "$found" ] || cfs_refuse "image $cfs_id has the fs-verity digest $found"
	[ "$cfs_optional" = y ] || cfs_refuse "image $cfs_id has no fs-verity"
	cfs_verity=
	echo "composefs: warning: integrity is not enforced"
}

# From here on the physical root is at $cfs_work/phys, and $cfs_root is the composed root.
cfs_mount_tree()
{
	for module in loop erofs overlay; do modprobe -q "$module"; done
	mkdir -p "$cfs_work/phys" "$cfs_work/erofs" "$cfs_work/top"
	cfs_device=$(cfs_device_of "$cfs_root")
	mount -o bind "$cfs_root" "$cfs_work/phys" || cfs_refuse "cannot bind the physical root"
	# systemd shares mounts: what is mounted over the one place would come to be over the other.
	mount --make-private "$cfs_work/phys" || cfs_refuse "cannot make the physical root private"
	mount -t erofs -o ro,loop /proc/self/fd/3 "$cfs_work/erofs" || cfs_refuse "cannot mount image $cfs_id"
	exec 3<&-
	mount -t overlay -o "ro,metacopy=on,redirect_dir=on$cfs_verity,lowerdir=$cfs_work/erofs::$cfs_work/phys/composefs/objects" \
		"composefs:$cfs_id" "$cfs_root" || cfs_refuse "cannot mount the tree of image $cfs_id"
	[ "$root_transient" = false ] || cfs_overlay_transient "$cfs_root" "transient:composefs=$cfs_id"
}

cfs_mount_state()
{
	state=$cfs_work/phys/state/deploy/$cfs_id
	[ -d "$state" ] || cfs_refuse "the disk has no state for image $cfs_id"
	if [ -d "$cfs_root/sysroot" ]; then
		mount -o bind "$cfs_work/phys" "$cfs_root/sysroot" || cfs_refuse "cannot show the physical root at /sysroot"
		mount -o remount,bind,ro "$cfs_root/sysroot" || cfs_refuse "cannot make /sysroot read-only"
	fi
	case "$etc_mount" in
	none) ;;
	bind) mount -o bind "$state/etc" "$cfs_root/etc" || cfs_refuse "cannot mount /etc" ;;
	overlay)
		mount -t overlay -o "lowerdir=$cfs_root/etc,upperdir=$state/etc/upper,workdir=$state/etc/work" \
			overlay "$cfs_root/etc" || cfs_refuse "cannot mount /etc"
		;;
	transient) cfs_overlay_transient "$cfs_root/etc" transient ;;
	*) cfs_refuse "unknown policy for /etc: $etc_mount" ;;
	esac
	case "$var_mount" in
	none) ;;
	bind) mount -o bind "$state/var" "$cfs_root/var" || cfs_refuse "cannot mount /var" ;;
	*) cfs_refuse "unknown policy for /var: $var_mount" ;;
	esac
}

# Puts a writable layer in memory over directory $1; $2 is the mount source.
cfs_overlay_transient()
{
	top=$cfs_work/top
	mount -t tmpfs -o mode=0755 transient "$top" || cfs_refuse "no memory for a layer over $1"
	mkdir -m 0755 "$top/upper" || cfs_refuse "no memory for a layer over $1"
	mkdir -m 0700 "$top/work" || cfs_refuse "no memory for a layer over $1"
	mount -t overlay -o "lowerdir=$1,upperdir=$top/upper,workdir=$top/work" "$2" "$1" ||
		cfs_refuse "cannot make $1 transient"
	umount -l "$top"
}

# Prints MAJOR:MINOR of the file system last mounted at $1.
cfs_device_of()
{
	number=''
	while read -r _ _ majmin _ target _; do
		[ "$target" != "$1" ] || number=$majmin
	done </proc/self/mountinfo
	echo "$number"
}

cfs_tidy()
{
	# systemd's gpt-auto generator asks which disk the root is on; an overlay cannot tell (systemd issue 35017).
	# Major number 0 is an anonymous device (btrfs) and names no disk.
	case "$cfs_device" in
	'' | 0:*) ;;
	*) mkdir -p /run/systemd && ln -sf "/dev/block/$cfs_device" /run/systemd/volatile-root ;;
	esac
	umount -l "$cfs_work/erofs"
	umount -l "$cfs_work/phys"
	rmdir "$cfs_work"/* "$cfs_work"
}
