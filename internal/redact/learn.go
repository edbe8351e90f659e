package redact

import (
	"slices"
	"strconv"
	"strings"
)

// A name that a text told to be that of a user goes from then on where it
// stands alone, too. maxLearned bounds how many names one Redactor learns, and
// shortestLearned how many bytes one has: a shorter one is mostly a word.
const maxLearned, shortestLearned = 64, 3

// commonUsers are names that are the same on many machines, or words that a
// diagnosis needs. They tell nothing of a person; learned, they would go
// wherever the word stands.
var commonUsers = newWords(`
	root user users admin administrator home www www-data nobody daemon bin sys sync games man lp mail news uucp proxy
	backup list irc gnats operator guest nogroup wheel staff adm tty disk sudo docker system service services systemd
	systemd-network systemd-resolve systemd-timesync messagebus dbus syslog polkitd avahi sshd ssh ftp http https git
	nginx apache apache2 httpd mysql mariadb postgres postgresql redis mongodb mongod rabbitmq elasticsearch kafka
	zookeeper memcached tomcat jenkins gitlab gitlab-runner runner buildkite build builder node npm python ruby java
	app application web server client worker test tests tester testing dev develop developer deploy deployer prod
	production staging data database db ubuntu debian fedora centos rocky almalinux alpine arch opensuse linux windows
	ec2-user vagrant pi core oracle azureuser cloud-user linuxbrew kernel default public shared anonymous local
	remote host hostname login owner username name password group groups session process file files error warning info
	debug failed status start stop main src lib tmp var etc usr opt run log logs proc cache config and from with that
	this not new old all any libvirt qemu kvm nfs rpc ntp chrony postfix dovecot exim named bind unbound
	prometheus grafana nagios zabbix ansible puppet consul vault etcd kube kubernetes hookline path page index`)

func newWords(text string) map[string]bool {
	words := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		words[w] = true
	}
	return words
}

// learn remembers who, in lower case, for the rest of this text and for later
// ones. Names that the peer knows have a rule already.
func (r *Redactor) learn(who string) {
	l := r.learned
	if len(l.names) >= maxLearned || len(who) < shortestLearned || len(who) > longestUser || !isName(who) {
		return
	}
	if commonUsers[who] || noValues[who] || l.numbers[who] != "" || r.users.numbers[who] != "" {
		return
	}
	l.names = append(l.names, who)
	slices.SortStableFunc(l.names, func(a, b string) int { return len(b) - len(a) })
	l.numbers[who] = who
	l.first(who)
	r.news = true
}

// user returns the token of a name of a user, which it learns.
func (r *Redactor) user(who string) string {
	who = strings.ToLower(who)
	r.learn(who)
	return r.marks.of(kindUser, who)
}

// Numbers of users below firstPerson belong to the system, as does noPerson.
const firstPerson, noPerson = 1000, 65534

// ids finds the names in uid=1000(name), as id prints them.
func (r *Redactor) ids(s string, cuts []cut) []cut {
	for i := 0; ; {
		n := strings.Index(s[i:], "uid=")
		if n < 0 {
			return cuts
		}
		start := i + n + len("uid=")
		i = run(s[:min(len(s), start+10)], start, setDigit)
		id, err := strconv.Atoi(s[start:i])
		if err != nil || id < firstPerson || id == noPerson || i >= len(s) || s[i] != '(' {
			continue
		}
		from := i + 1
		i = run(s[:min(len(s), from+longestUser)], from, setKey)
		if i < len(s) && s[i] == ')' && isUserName(s[from:i]) {
			cuts = append(cuts, cut{from, i, r.user(s[from:i])})
		}
	}
}

// isUserName reports whether text can be the name of a person on a machine.
func isUserName(text string) bool {
	lower := strings.ToLower(text)
	return isName(text) && !commonUsers[lower] && !noValues[lower]
}
