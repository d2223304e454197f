// Command vault-server is a HashiCorp Vault server made of Vault's own parts: its core (storage behind the barrier, seal,
// tokens, policies, audit), its HTTP API and its transit secrets engine, from the module github.com/hashicorp/vault that
// go.mod pins. It leaves out what custody never asks for: other engines, clustering, the UI, the command line. It comes up
// uninitialised and sealed, as `vault server` does; who wants to use it initialises and unseals it through the API.
//
// For tests only. Version 1.14 is the last under the Mozilla Public License 2.0.
//
//	vault-server -listen ADDR -data DIR -tls-cert FILE -tls-key FILE
//
// Prints the address that it listens at. Ends on SIGTERM or SIGINT, sealed; the data stay.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/audit"
	auditfile "github.com/hashicorp/vault/builtin/audit/file"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/vault"
)

// The engines that are compiled in.
var engines = map[string]logical.Factory{
	"transit": func(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
		engine, err := transit.Backend(ctx, config)
		if err != nil {
			return nil, err
		}
		complete(engine.Backend)
		return engine, engine.Setup(ctx, config)
	},
}

// A release of Vault has a copy of the SDK in its tree, which as a dependency it does not bring along. The published SDK
// that it compiles with refuses to serve paths that can create something and do not tell whether it is there. The few that
// do not are configurations, which always are, and stubs of another edition.
func complete(backend *framework.Backend) {
	for _, path := range backend.Paths {
		if path.ExistenceCheck == nil {
			path.ExistenceCheck = func(context.Context, *logical.Request, *framework.FieldData) (bool, error) {
				return true, nil
			}
		}
	}
}

// The same for the core's own paths below sys/, which it makes when it is unsealed and lets nobody replace.
func completeSystem(core *vault.Core, logger hclog.Logger) {
	field := reflect.ValueOf(core).Elem().FieldByName("logicalBackends")
	backends := *(*map[string]logical.Factory)(field.Addr().UnsafePointer())
	backends["system"] = func(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
		system := vault.NewSystemBackend(core, logger.Named("system"))
		complete(system.Backend)
		return system, system.Setup(ctx, config)
	}
}

// The engines, as the core asks for them.
type registry struct{}

func (registry) Contains(name string, kind consts.PluginType) bool {
	_, has := engines[name]
	return has && kind == consts.PluginTypeSecrets
}

func (r registry) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	if !r.Contains(name, kind) {
		return nil, false
	}
	return func() (interface{}, error) { return engines[name], nil }, true
}

func (r registry) Keys(kind consts.PluginType) []string {
	names := []string{}
	for name := range engines {
		if r.Contains(name, kind) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func main() {
	log.SetFlags(0)
	address := flag.String("listen", "127.0.0.1:8200", "address of the API")
	data := flag.String("data", "", "folder of its storage; made when missing")
	cert := flag.String("tls-cert", "", "PEM file of its certificate and what leads to its authority")
	key := flag.String("tls-key", "", "PEM file of that certificate's key")
	flag.Parse()
	if *data == "" || *cert == "" || *key == "" || flag.NArg() > 0 {
		log.Fatal("usage: vault-server -listen ADDR -data DIR -tls-cert FILE -tls-key FILE")
	}
	if err := serve(*address, *data, *cert, *key); err != nil {
		log.Fatal(err)
	}
}

func serve(address, data, certFile, keyFile string) error {
	logger := hclog.New(&hclog.LoggerOptions{Name: "vault", Level: hclog.Info})
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	storage, err := file.NewFileBackend(map[string]string{"path": data}, logger.Named("storage"))
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        storage,
		StorageType:     "file",
		LogicalBackends: engines,
		AuditBackends:   map[string]audit.Factory{"file": auditfile.Factory},
		BuiltinRegistry: registry{},
		Logger:          logger,
		LogLevel:        "info",
		// Whoever runs tests may not lock memory, and what this server keeps is a test's.
		DisableMlock: true,
	})
	if err != nil {
		return err
	}
	completeSystem(core, logger)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr()) // for whoever asked for port 0, and to say that it listens
	server := &http.Server{
		Handler:           vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}}),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          logger.StandardLogger(nil),
	}
	told, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(listener, "", "") }()
	select {
	case err := <-ended:
		return err
	case <-told.Done():
	}
	finish, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(finish); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return core.Shutdown()
}
