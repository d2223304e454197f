// Command etcd is the etcd server as its own release builds it, from the module
// go.etcd.io/etcd/server/v3 that go.mod pins: the store under the test API server.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
