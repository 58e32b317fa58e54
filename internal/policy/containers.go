package policy

import "strings"

// containerPrograms ask container runtimes, and run commands in containers that run already.
func containerPrograms() []program {
	return []program{
		{names: "docker podman", run: dockerCall},
		{names: "crictl", run: verb("ps pods images info version stats inspect inspectp inspecti", "-aq -o: --all --quiet --output=", false)},
		{names: "virsh", run: verb("list dominfo domstate nodeinfo version", "--all --name --uuid --inactive", false)},
		{names: "lxc-ls machinectl lxc-info", run: verb("list status show", "-1afL -n: --fancy --no-pager", true)},
	}
}

// dockerReads are the words after docker that ask; the two-word forms are docker's own longer names.
var dockerReads = map[string]bool{
	"ps": true, "images": true, "info": true, "version": true, "inspect": true, "logs": true, "top": true, "stats": true,
	"port": true, "diff": true, "history": true,
	"container ls": true, "container list": true, "container ps": true, "container inspect": true, "container logs": true,
	"container top": true, "container stats": true, "container port": true, "container diff": true,
	"image ls": true, "image list": true, "image inspect": true, "image history": true,
	"network ls": true, "network inspect": true, "volume ls": true, "volume inspect": true,
	"system df": true, "system info": true,
}

func dockerCall(c *call) {
	for i, v := range c.args {
		if i < 2 && v.kind != exact {
			c.cannot(v.span, "what %s does here is not known beforehand", c.name.text)
			return
		}
	}
	if len(c.args) == 1 && c.args[0].is("--version") {
		return
	}
	if len(c.args) == 0 || c.args[0].dash() {
		c.cannot(c.span, "%s in this form is not known to be harmless", c.name.text)
		return
	}
	rest, what := c.args[1:], c.args[0].text
	switch what {
	case "container", "image", "network", "volume", "system":
		if len(rest) > 0 {
			what, rest = what+" "+rest[0].text, rest[1:]
		}
	}
	if what == "exec" || what == "container exec" {
		c.dockerExec(rest)
		return
	}
	if !dockerReads[what] {
		c.cannot(c.args[0].span, "%s %s is not known to be harmless", c.name.text, what)
		return
	}
	p, ok := c.withSpec("-aqsftnlv --all --quiet --size --no-trunc --format= --filter= --last= --latest --follow --timestamps --tail= --since= --until= --no-stream --type= --details --digests --verbose", c.args[len(c.args)-len(rest):])
	if ok {
		c.single(p.operands)
	}
}

// dockerExec: docker exec [-it] [-u USER] CONTAINER COMMAND. The container's programs are taken to be what
// their names say, as the host's are.
func (c *call) dockerExec(args []word) {
	s, err := readSpec("-it -u: --interactive --tty --user=")
	if err != nil {
		c.cannot(c.span, "%v", err)
		return
	}
	s.first = true
	p, ok := c.parse(s, args)
	if !ok {
		return
	}
	if len(p.operands) < 2 || p.operands[0].kind == fields || p.operands[0].kind == glob {
		c.cannot(c.span, "%s exec without a container and a command", c.name.text)
		return
	}
	if first := p.operands[1]; first.kind == exact && strings.HasPrefix(first.text, "-") {
		c.cannot(first.span, "options after the container are not understood")
		return
	}
	before := c.anyDir
	c.anyDir = true
	c.runs(p.operands[1:])
	c.anyDir = before
}
