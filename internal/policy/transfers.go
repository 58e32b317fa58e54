package policy

// transferPrograms are the far ends of file transfers: what git, rsync and scp start on a host through ssh. Only
// the end that sends is known to be harmless; git-receive-pack, rsync without --sender and scp -t write.
//
// Sources: git-upload-pack(1); server_options() in rsync's options.c; scp(1), whose -f is not documented. Left out
// of rsync's: -s, after which paths and options come over standard input, unseen; --remove-source-files;
// --log-file; --copy-devices; --daemon and all that names a program.
func transferPrograms() []program {
	return []program{
		{names: "git-upload-pack", operands: "file", most: 1, opts: "--strict --no-strict --timeout=", check: func(c *call, p *parsed) {
			if len(p.operands) != 1 {
				c.cannot(c.span, "git-upload-pack without a directory")
			}
		}},
		{names: "rsync", operands: "file", check: rsyncSender, opts: "-vqnlLkHogDtUNrRcdxzWISubmypAXEOJKih -e? --server --sender " +
			"--numeric-ids --safe-links --copy-unsafe-links --from0 --append --append-verify --inplace --partial --size-only " +
			"--one-file-system --ignore-missing-args --ignore-errors --no-implied-dirs --no-relative --no-r --no-inc-recursive --no-i-r " +
			"--msgs2stderr --no-msgs2stderr --fuzzy --specials --no-specials --devices --no-devices --sparse --no-W --use-qsort " +
			"--timeout= --bwlimit= --checksum-choice= --checksum-seed= --compress-choice= --compress-level= --skip-compress= " +
			"--max-size= --min-size= --max-alloc= --modify-window= --partial-dir= --stderr= --info= --debug= --iconv= --log-format= --files-from=file"},
		{names: "scp", operands: "file", opts: "-vrpdqf", check: func(c *call, p *parsed) {
			if !p.has("f") || len(p.operands) == 0 {
				c.cannot(c.span, "of scp only -f, the end that sends, is known to be harmless")
			}
		}},
	}
}

func rsyncSender(c *call, p *parsed) {
	if !p.has("server") || !p.has("sender") {
		c.cannot(c.span, "of rsync only --server --sender, the end that sends, is known to be harmless")
		return
	}
	if len(p.operands) < 2 || !p.operands[0].is(".") {
		c.cannot(c.span, "rsync --server --sender without paths reads them, and options, from standard input")
	}
}
