// Command flux-apply does with a file of manifests what Flux's kustomize-controller does with the output of one
// Kustomization, with Flux's own code: it applies them server-side in stages, removes what was in the earlier inventory and
// is there no more, and with `wait: true` waits until kstatus says that all are current. For tests.
//
//	flux-apply -kubeconfig FILE [-wait DURATION] [-was FILE] FILE
//
// Prints one line for each object: what was done, and the object. Exits 1 with Flux's words when something failed, or was
// waited for in vain.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/clusterreader"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling/engine"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"github.com/fluxcd/pkg/ssa/utils"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// The Kustomization that owns the objects.
const name, namespace = "shop", "flux-system"

func main() {
	log.SetFlags(0)
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the cluster")
	wait := flag.Duration("wait", 0, "as with `wait: true`: how long to wait until all are current; 0: not at all")
	was := flag.String("was", "", "the manifests of last time: what is missing now is pruned")
	flag.Parse()
	if *kubeconfig == "" || flag.NArg() != 1 {
		log.Fatal("usage: flux-apply -kubeconfig FILE [-wait DURATION] [-was FILE] FILE")
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err == nil {
		err = reconcile(context.Background(), config, flag.Arg(0), *was, *wait)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func manager(config *rest.Config) (*ssa.ResourceManager, error) {
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, http)
	if err != nil {
		return nil, err
	}
	kube, err := client.New(config, client.Options{HTTPClient: http, Mapper: mapper})
	if err != nil {
		return nil, err
	}
	poller := polling.NewStatusPoller(kube, mapper, polling.Options{
		ClusterReaderFactory: engine.ClusterReaderFactoryFunc(clusterreader.NewDirectClusterReader),
	})
	return ssa.NewResourceManager(kube, poller, ssa.Owner{
		Field: "kustomize-controller",
		Group: "kustomize.toolkit.fluxcd.io",
	}), nil
}

func read(path string) ([]*unstructured.Unstructured, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return utils.ReadObjects(file)
}

func reconcile(ctx context.Context, config *rest.Config, path, was string, patience time.Duration) error {
	objects, err := read(path)
	if err != nil {
		return err
	}
	before, err := read(was)
	if err != nil {
		return err
	}
	flux, err := manager(config)
	if err != nil {
		return err
	}
	if err := normalize.UnstructuredList(objects); err != nil {
		return err
	}
	flux.SetOwnerLabels(objects, name, namespace)

	options := ssa.DefaultApplyOptions()
	options.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{"kubectl.kubernetes.io/last-applied-configuration"},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "kustomize-controller", OperationType: metav1.ManagedFieldsOperationUpdate},
		},
		Exclusions: map[string]string{"kustomize.toolkit.fluxcd.io/ssa": "Merge"},
	}
	applied, err := flux.ApplyAllStaged(ctx, objects, options)
	if err != nil {
		return err
	}
	report(applied)

	removed, err := flux.DeleteAll(ctx, missing(before, objects), ssa.DeleteOptions{
		PropagationPolicy: metav1.DeletePropagationBackground,
		Inclusions:        flux.GetOwnerLabels(name, namespace),
		Exclusions: map[string]string{
			"kustomize.toolkit.fluxcd.io/prune":     "disabled",
			"kustomize.toolkit.fluxcd.io/reconcile": "disabled",
		},
	})
	if err != nil {
		return err
	}
	report(removed)

	if patience == 0 {
		return nil
	}
	return flux.WaitForSet(applied.ToObjMetadataSet(), ssa.WaitOptions{Interval: time.Second, Timeout: patience})
}

// What was there before and is not now.
func missing(before, now []*unstructured.Unstructured) []*unstructured.Unstructured {
	kept := map[string]bool{}
	for _, object := range now {
		kept[utils.FmtUnstructured(object)] = true
	}
	var gone []*unstructured.Unstructured
	for _, object := range before {
		if !kept[utils.FmtUnstructured(object)] {
			gone = append(gone, object)
		}
	}
	return gone
}

func report(changes *ssa.ChangeSet) {
	if changes == nil {
		return
	}
	for _, entry := range changes.Entries {
		fmt.Printf("%s %s\n", entry.Action, entry.Subject)
	}
}
