#!/bin/sh
# Turns an installed Debian root file system into the tree of a bootable container image. Runs inside that root, as
# its last change, from a copy of host/debian that it removes, with /proc mounted and SOURCE_DATE_EPOCH set.
#
# What it leaves: kernel and initial RAM file system under /usr/lib/modules, an empty /boot, the package database
# under /usr, top-level directories that users write to as links into /var, and in /var nothing but what
# systemd-tmpfiles would create there.
set -eu
umask 022
export LC_ALL=C.UTF-8

fail() {
	echo "finish.sh: $*" >&2
	exit 1
}

# --- Files of ours ----------------------------------------------------------------------------------------------
# A checkout may have any owner and umask, and so may a package cache; an image must not inherit them.
cd "${0%/*}/.."
ours=$PWD
chown -R 0:0 .
chmod -R u=rwX,go=rX .
cp -r image/files/. /
cp -r composefs /usr/lib/
[ ! -d /usr/share/initramfs-tools ] || cp -r initramfs-tools/. /usr/share/initramfs-tools/
[ ! -d /usr/lib/dracut/modules.d ] || cp -r dracut/. /usr/lib/dracut/modules.d/
[ ! -d /var/cache/apt/archives ] || chown 0:0 /var/cache/apt/archives
[ ! -d /var/cache/apt/archives ] || chmod 0755 /var/cache/apt/archives

# --- Kernel -----------------------------------------------------------------------------------------------------
cd /usr/lib/modules
set -- *
[ $# -eq 1 ] || fail "expected one kernel, found: $*"
kver=$1
[ -e "/boot/vmlinuz-$kver" ] || fail "there is no /boot/vmlinuz-$kver"
initramfs=/usr/lib/modules/$kver/initramfs.img
# initramfs-tools is what the image has by default; who installs dracut wants dracut.
if command -v dracut >/dev/null; then
	DRACUT_NO_XATTR=1 dracut --force --reproducible --no-hostonly --add composefs-root --kver "$kver" "$initramfs"
	lsinitrd "$initramfs" | awk '{ print $9 }' >/run/initramfs.list
	set -- usr/lib/systemd/system/composefs-root.service
else
	mkinitramfs -o "$initramfs" "$kver"
	lsinitramfs "$initramfs" >/run/initramfs.list
	set -- scripts/composefs
fi
chmod 0644 "$initramfs"
for needed in "$@" usr/lib/composefs/root.sh usr/lib/composefs/policy usr/bin/fsverity \
	"usr/lib/modules/$kver/kernel/fs/erofs/erofs.ko.*" "usr/lib/modules/$kver/kernel/fs/overlayfs/overlay.ko.*"; do
	grep -qx "$needed" /run/initramfs.list || fail "the initial RAM file system has no $needed"
done
mv "/boot/vmlinuz-$kver" "$kver/vmlinuz"
mv "/boot/config-$kver" "$kver/config"
cd /
find /boot -mindepth 1 -delete
# Debian names them after /boot, and for the version before.
rm -f /vmlinuz /vmlinuz.old /initrd.img /initrd.img.old

# --- Package state ----------------------------------------------------------------------------------------------
# /var is filled once, when a machine is installed: what describes the packages of /usr has to change with /usr.
mkdir -p /usr/lib/sysimage
for state in dpkg pam ucf; do
	[ -d "/var/lib/$state" ] || continue
	mv "/var/lib/$state" "/usr/lib/sysimage/$state"
	ln -s "../../usr/lib/sysimage/$state" "/var/lib/$state"
	echo "L /var/lib/$state - - - - ../../usr/lib/sysimage/$state" >>/usr/lib/tmpfiles.d/sealed-image.conf
done
# Locks and the state before the last change are no part of the image.
rm -f /usr/lib/sysimage/dpkg/*-old /usr/lib/sysimage/dpkg/lock*
rm -rf /usr/lib/sysimage/dpkg/updates/* /usr/lib/sysimage/dpkg/tmp.ci

# --- Top level --------------------------------------------------------------------------------------------------
for link in home:var/home root:var/roothome srv:var/srv opt:var/opt mnt:var/mnt usr/local:../var/usrlocal \
	ostree:sysroot/ostree; do
	name=${link%%:*}
	rm -rf "/${name:?}"
	ln -s "${link#*:}" "/$name"
done
mkdir -p /sysroot
[ ! -f /etc/default/useradd ] || sed -i 's|^#* *HOME=.*|HOME=/var/home|' /etc/default/useradd
[ ! -f /etc/adduser.conf ] || sed -i 's|^#* *DHOME=.*|DHOME=/var/home|' /etc/adduser.conf

# --- /etc -------------------------------------------------------------------------------------------------------
# The build machine's name, addresses and disks, and the backups of account files. Every machine makes host keys of
# its own: sshd-keygen.service.
rm -f /etc/fstab /etc/mtab /etc/.pwd.lock /etc/.resolv.conf.systemd-resolved.bak
# While a container engine builds, these two are mounts of its own, and no part of the image.
rm -f /etc/hostname /etc/resolv.conf 2>/dev/null || :
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
echo uninitialized >/etc/machine-id
# Packages were installed before the presets of files/ were there.
systemctl preset apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer 2>/dev/null || :
# /etc belongs to this /usr: without the stamp the first boot would build caches that are here already.
: >/etc/.updated

# --- /var -------------------------------------------------------------------------------------------------------
# Directories and links that packages own are declared to systemd-tmpfiles unless somebody declares them already.
packaged=/usr/lib/tmpfiles.d/sealed-image-packages.conf
find /var -mindepth 1 \( -type d -printf 'd %p %#m %u %g -\n' -o -type l -printf 'L %p - - - - %l\n' \) |
	sort -k2,2 >/run/var.list
find /var -mindepth 1 -delete
systemd-tmpfiles --create --prefix=/var >/dev/null
while read -r type path rest; do
	case "$path" in
	/var/cache/ldconfig | /var/lib/systemd/deb-systemd-* | /var/lib/apt/lists/* | *' '*) ;;
	*) [ -e "$path" ] || [ -L "$path" ] || echo "$type $path $rest" >>"$packaged" ;;
	esac
done </run/var.list
systemd-tmpfiles --create --prefix=/var >/dev/null
find /var ! -type d ! -type l -delete

# /run and /tmp are emptied by what reads this tree; mmdebstrap still keeps its configuration of apt in /tmp.
rm -rf /run/initramfs.list /run/var.list "$ours"
