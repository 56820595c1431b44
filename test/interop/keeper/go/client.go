// The Go client against a keeper: one check a line, `ok WHAT` or `not ok WHAT: detail`.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

const (
	wait           = 120 * time.Second
	sessionTimeout = 300 * time.Second // Longer than a machine stands still.
)

var (
	address = os.Args[1]
	input   = bufio.NewReader(os.Stdin)
	open    = zk.WorldACL(zk.PermAll)
)

func check(condition bool, what string, seen ...any) {
	if condition {
		fmt.Println("ok " + what)
	} else {
		fmt.Println("not ok "+what+": saw", fmt.Sprint(seen...))
	}
}

func same(err, expected error, what string) {
	check(errors.Is(err, expected), what, err)
}

func must(err error, what string) {
	check(err == nil, what, err)
}

func ask(word string) {
	fmt.Println("ask " + word)
	if _, err := input.ReadString('\n'); err != nil {
		os.Exit(1)
	}
}

func connect(timeout time.Duration) (*zk.Conn, <-chan zk.Event) {
	conn, events, err := zk.Connect([]string{address}, timeout, zk.WithLogger(log.New(io.Discard, "", 0)))
	if err != nil {
		log.Fatal(err)
	}
	if !reaches(events, zk.StateHasSession) {
		fmt.Println("not ok connect: no session")
		os.Exit(1)
	}
	return conn, events
}

func reaches(events <-chan zk.Event, state zk.State) bool {
	until := time.After(wait)
	for {
		select {
		case event := <-events:
			if event.State == state {
				return true
			}
		case <-until:
			return false
		}
	}
}

func told(events <-chan zk.Event, kind zk.EventType, path, what string) {
	select {
	case event := <-events:
		check(event.Type == kind && event.Path == path, what, event)
	case <-time.After(wait):
		check(false, what, "nothing")
	}
}

func operations(c *zk.Conn) {
	path, err := c.Create("/g", []byte("one"), 0, open)
	must(err, "create")
	check(path == "/g", "create: its path", path)
	_, err = c.Create("/g", nil, 0, open)
	same(err, zk.ErrNodeExists, "create again")
	_, err = c.Create("/none/g", nil, 0, open)
	same(err, zk.ErrNoNode, "create below nothing")
	path, err = c.Create("/g/s-", nil, zk.FlagSequence, open)
	check(err == nil && path == "/g/s-0000000000", "create sequential", path, err)
	path, err = c.Create("/g/e-", nil, zk.FlagEphemeral|zk.FlagSequence, open)
	check(err == nil && path == "/g/e-0000000001", "create ephemeral sequential", path, err)
	_, err = c.Create(path+"/x", nil, 0, open)
	same(err, zk.ErrNoChildrenForEphemerals, "create below an ephemeral")
	path, err = c.CreateContainer("/box", nil, zk.FlagContainer, open)
	check(err == nil && path == "/box", "create container", path, err)
	data, stat, err := c.Get("/g")
	check(err == nil && string(data) == "one" && stat.Version == 0 && stat.NumChildren == 2, "get", stat, err)
	stat, err = c.Set("/g", []byte("three"), 0)
	check(err == nil && stat.Version == 1 && stat.DataLength == 5, "set", stat, err)
	_, err = c.Set("/g", nil, 0)
	same(err, zk.ErrBadVersion, "set with an old version")
	there, stat, err := c.Exists("/g")
	check(err == nil && there && stat.Cversion == 2, "exists", stat, err)
	there, _, err = c.Exists("/none")
	check(err == nil && !there, "exists of nothing", err)
	names, stat, err := c.Children("/g")
	sort.Strings(names)
	check(err == nil && strings.Join(names, " ") == "e-0000000001 s-0000000000", "children", names, err)
	check(stat.NumChildren == 2, "children: stat", stat)
	same(c.Delete("/g", -1), zk.ErrNotEmpty, "delete with children")
	same(c.Delete("/g/s-0000000000", 4), zk.ErrBadVersion, "delete with a wrong version")
	must(c.Delete("/g/s-0000000000", 0), "delete")
	same(c.Delete("/g/s-0000000000", 0), zk.ErrNoNode, "delete again")
	path, err = c.Sync("/g")
	check(err == nil && path == "/g", "sync", path, err)
}

func multi(c *zk.Conn) {
	results, err := c.Multi(
		&zk.CreateRequest{Path: "/m", Data: []byte("1"), Acl: open},
		&zk.SetDataRequest{Path: "/m", Data: []byte("2"), Version: 0},
		&zk.CheckVersionRequest{Path: "/m", Version: 1},
		&zk.CreateRequest{Path: "/m/a", Acl: open},
		&zk.DeleteRequest{Path: "/m/a", Version: -1})
	check(err == nil && len(results) == 5 && results[0].String == "/m" && results[1].Stat.Version == 1, "multi", results, err)
	results, err = c.Multi(
		&zk.CreateRequest{Path: "/m/b", Acl: open},
		&zk.CheckVersionRequest{Path: "/m", Version: 9})
	same(err, zk.ErrBadVersion, "multi: a failed check")
	check(len(results) == 2 && results[1].Error == zk.ErrBadVersion, "multi: the failed step is named", results)
	there, _, _ := c.Exists("/m/b")
	check(!there, "multi: nothing done")
}

func watches(c, other *zk.Conn) {
	other.Create("/w", nil, 0, open)
	_, _, events, err := c.ExistsW("/w/a")
	must(err, "exists with watch")
	other.Create("/w/a", nil, 0, open)
	told(events, zk.EventNodeCreated, "/w/a", "told of the creation")
	_, _, events, err = c.GetW("/w/a")
	must(err, "get with watch")
	other.Set("/w/a", []byte("1"), -1)
	told(events, zk.EventNodeDataChanged, "/w/a", "told of the change")
	_, _, events, err = c.ChildrenW("/w")
	must(err, "children with watch")
	other.Create("/w/b", nil, 0, open)
	told(events, zk.EventNodeChildrenChanged, "/w", "told of the child")
	_, _, events, _ = c.GetW("/w/a")
	other.Delete("/w/a", -1)
	told(events, zk.EventNodeDeleted, "/w/a", "told of the deletion")
}

func acls(c, other *zk.Conn) {
	must(c.AddAuth("digest", []byte("ada:lovelace")), "add auth")
	_, err := c.Create("/acl", []byte("s"), 0, zk.DigestACL(zk.PermAll, "ada", "lovelace"))
	must(err, "create for a digest")
	_, _, err = other.Get("/acl")
	same(err, zk.ErrNoAuth, "another may not")
	list, stat, err := c.GetACL("/acl")
	check(err == nil && len(list) == 1 && strings.HasPrefix(list[0].ID, "ada:") && stat.Aversion == 0, "get acl", list, err)
	stat, err = c.SetACL("/acl", open, 0)
	check(err == nil && stat.Aversion == 1, "set acl", stat, err)
	_, err = c.SetACL("/acl", open, 0)
	same(err, zk.ErrBadVersion, "set acl with an old version")
	_, _, err = other.Get("/acl")
	must(err, "now another may")
}

func recipes(c, other *zk.Conn) {
	mine, theirs := zk.NewLock(c, "/lock", open), zk.NewLock(other, "/lock", open)
	must(mine.Lock(), "lock")
	done := make(chan error)
	go func() { done <- theirs.Lock() }()
	select {
	case <-done:
		check(false, "lock: two owners")
	case <-time.After(200 * time.Millisecond):
	}
	must(mine.Unlock(), "unlock")
	must(<-done, "lock: handed over")
	must(theirs.Unlock(), "unlock by the other")
}

func parallel(c *zk.Conn) {
	c.Create("/par", nil, 0, open)
	var group sync.WaitGroup
	failed := make(chan error, 1000)
	for i := 0; i < 1000; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			path := fmt.Sprintf("/par/%d", i)
			if _, err := c.Create(path, []byte(path), 0, open); err != nil {
				failed <- err
			}
			if data, _, err := c.Get(path); err != nil || string(data) != path {
				failed <- fmt.Errorf("%s: %q %v", path, data, err)
			}
		}()
	}
	group.Wait()
	check(len(failed) == 0, "a thousand at once", len(failed))
}

func killed(c *zk.Conn) {
	ask("victim /victim")
	there, _, events, err := c.ExistsW("/victim")
	check(err == nil && there, "the victim's node", err)
	ask("kill")
	told(events, zk.EventNodeDeleted, "/victim", "the killed client's node goes")
}

func restarted(c, other *zk.Conn, session <-chan zk.Event) {
	id := c.SessionID()
	c.Create("/r", []byte("before"), 0, open)
	c.Create("/r/eph", nil, zk.FlagEphemeral, open)
	_, _, events, _ := c.GetW("/r")
	for len(session) > 0 {
		<-session
	}
	ask("restart")
	check(reaches(session, zk.StateHasSession), "reconnected")
	check(c.SessionID() == id, "the same session", c.SessionID())
	_, stat, err := c.Exists("/r/eph")
	check(err == nil && stat.EphemeralOwner == id, "the ephemeral node is still ours", stat, err)
	for i := 0; i < 600; i++ {
		if _, err = other.Set("/r", []byte("after"), -1); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	must(err, "the other writes again")
	told(events, zk.EventNodeDataChanged, "/r", "the watch was set again")
}

func main() {
	if len(os.Args) > 2 {
		c, _ := connect(12 * time.Second)
		c.Create(os.Args[3], nil, zk.FlagEphemeral, open)
		fmt.Println("holding " + os.Args[3])
		select {}
	}
	c, session := connect(sessionTimeout)
	other, _ := connect(sessionTimeout)
	operations(c)
	multi(c)
	watches(c, other)
	acls(c, other)
	recipes(c, other)
	parallel(c)
	killed(c)
	restarted(c, other, session)
	c.Close()
	there, _, err := other.Exists("/r/eph")
	check(err == nil && !there, "close takes the ephemeral node", err)
	check(zk.FLWRuok([]string{address}, wait)[0], "ruok")
	other.Close()
}
