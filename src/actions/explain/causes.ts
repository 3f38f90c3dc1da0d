/** Why two digests differ: what a cause is called and what to do about it. Codes are stable. */

export interface CauseText {
  readonly title: string;
  /** One sentence. */
  readonly advice: string;
}

/**
 * In the order of a report. First what changes a whole tree at once: how it was encoded and transformed. Then what the
 * way from layers to a directory does to times, attributes and owners. Last what makes it another OS.
 */
export const CAUSES = {
  "explain.format": {
    title: "the digests are of different formats",
    advice:
      "compare digests of one format: see --format; bootc 1.16.4 and later compute v1-sha512, older ones v2-sha512",
  },
  "explain.transform": {
    title: "only one side went through the transform that empties /run, /boot and /sysroot",
    advice: "digest both sides with the same transform: leave out --plain, or write the dump with --write-dumpfile-to",
  },
  "explain.root-metadata": {
    title: "the root directory has its own metadata on one side and not that of /usr",
    advice: "read the tree with the OCI transform on both sides; tools that leave it out keep the metadata of the root",
  },
  "explain.kernel": {
    title: "the kernel in /usr/lib/modules was there for one digest and not for the other",
    advice: "remove vmlinuz and initramfs.img in a layer before the digest is computed, or keep them for good",
  },
  "explain.injected-file": {
    title: "a file that container engines put into running containers",
    advice: "digest the pushed image and not the directory of a build container; keep these files out of the layers",
  },
  "explain.socket": {
    title: "a socket, which no layer can hold",
    advice: "remove the socket from the directory, or digest the image",
  },
  "explain.xattr.namespace": {
    title: "one side has no extended attribute of this namespace",
    advice: "strip everything but security.capability from the layers, so that every filter gives the same",
  },
  "explain.selinux-label": {
    title: "SELinux labels differ",
    advice: "label both sides from the policy inside the image; labels on a host or in a layer do not count",
  },
  "explain.boot-nanoseconds": {
    title: "/boot or /sysroot: tools disagree whether the nanoseconds come from /usr",
    advice: "give every directory of the image a whole-second time: sealwright seal --normalize",
  },
  "explain.directory-time.implicit-parent": {
    title: "directories that a layer has entries in but does not declare; whoever unpacks it invents their metadata",
    advice: "declare every directory on the way to an entry in the same layer: sealwright seal --normalize adds them",
  },
  "explain.directory-time.repeated": {
    title: "directories that several layers declare with different times, and the sides took different ones",
    advice: "declare each directory once, in one layer, with one time: sealwright seal --normalize does",
  },
  "explain.directory-time": {
    title: "times of directories differ",
    advice: "digest the image and not an unpacked directory: unpacking and building change the times of directories",
  },
  "explain.time.subsecond": {
    title: "times agree to the second only",
    advice: "use whole seconds in the layers: sealwright seal --normalize; a tool that unpacked them dropped the rest",
  },
  "explain.time": {
    title: "times of files differ",
    advice: "digest the pushed image on both sides; a copy or a rebuild sets new times (see SOURCE_DATE_EPOCH)",
  },
  "explain.mode.symlink": {
    title: "modes of symbolic links; in a directory they are always 0777",
    advice: "write symbolic links with mode 0777 into the layers",
  },
  "explain.owner": {
    title: "owners differ",
    advice: "read the layers: unpacking without root or with mapped ids changes owners",
  },
  "explain.mode": {
    title: "permissions differ",
    advice: "look at the layer that sets them; an unpacker may have applied a umask or dropped set-id bits",
  },
  "explain.hardlink": {
    title: "names that are one file on one side and several on the other",
    advice: "copy with hard links kept (cp -a, rsync -H), or digest the image",
  },
  "explain.capability": {
    title: "file capabilities differ",
    advice: "keep security.capability when copying (as root, with extended attributes), or digest the image",
  },
  "explain.xattr": {
    title: "extended attributes differ",
    advice: "strip everything but security.capability from the layers",
  },
  "explain.storage": {
    title: "the same contents, stored inside the image on one side and as an object on the other",
    advice: "write the dump or image again with a tool that stores up to 64 bytes inside, and nothing larger",
  },
  "explain.content": {
    title: "contents of files differ",
    advice: "the sides are different builds: compare the layers that are named",
  },
  "explain.link-target": {
    title: "targets of symbolic links differ",
    advice: "the sides are different builds: compare the layers that are named",
  },
  "explain.device": {
    title: "device numbers differ",
    advice: "keep device nodes out of the layers; an image that boots has its own /dev",
  },
  "explain.type": {
    title: "names are one kind of thing here and another there",
    advice: "the sides are different builds, or one tool wrote whiteouts where the other removed files",
  },
  "explain.only-in-a": {
    title: "only the first side has these",
    advice: "the second side is another build, or was digested before or after a layer was added",
  },
  "explain.only-in-b": {
    title: "only the second side has these",
    advice: "the first side is another build, or was digested before or after a layer was added",
  },
  "explain.encoding": {
    title: "one tree and one format, yet other bytes: the image was written by a tool that encodes it in its own way",
    advice: "write the image again from its dump and compare: sealwright digest shows what the format gives",
  },
} as const satisfies Record<string, CauseText>;

export type CauseCode = keyof typeof CAUSES;
