#!/bin/bash
# shellcheck disable=SC2154 # moddir, initdir and systemdsystemunitdir are dracut's
#
# dracut module: the root file system is a composefs tree. Never automatic: add_dracutmodules+=" composefs-root ".
# Not together with bootc's own module: two units would compose the root twice.

check() {
	require_binaries fsverity || return 1
	return 255
}

depends() {
	echo systemd-initrd
}

# composefs: metadata image, its loop device, the overlay over it, the file systems that carry fs-verity. vfat: the ESP.
installkernel() {
	instmods erofs loop overlay ext4 btrfs vfat nls_ascii nls_cp437
	# Where a root disk is found in virtual machines; drivers of hardware come with dracut's own modules.
	instmods virtio_pci virtio_blk virtio_scsi hv_storvsc xen_blkfront vmw_pvscsi
}

install() {
	inst_multiple sh fsverity mount umount mkdir rmdir ln sleep modprobe
	inst_simple /usr/lib/composefs/root.sh
	inst_simple "$moddir/composefs-root.sh" /usr/lib/composefs/composefs-root.sh
	inst_simple "$moddir/composefs-root.service" "$systemdsystemunitdir/composefs-root.service"
	sh /usr/lib/composefs/read-policy.sh >"$initdir/usr/lib/composefs/policy" || return 1
	# An emergency shell would stand inside the measured boot.
	mkdir -p "$initdir/etc/cmdline.d"
	echo "rd.shell=0 rd.emergency=halt" >"$initdir/etc/cmdline.d/95composefs-root.conf"
	$SYSTEMCTL -q --root "$initdir" add-requires initrd-root-fs.target composefs-root.service
}
