// Package provision makes PersistentVolumes: a folder per claim of StorageClass `standard`.
//
// Why not the controller manager's own host-path provisioner: its folders are 0750 and
// owned by root, and fsGroup does not apply to hostPath, so a database that does not run
// as root cannot write there. These are `local` volumes, to which fsGroup does apply, in
// folders that anyone may write, for pods without an fsGroup.
package provision

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"storefront.dev/cluster/internal/layout"
)

// Name is the provisioner in the StorageClass, and in the volumes' annotation.
const Name = "storefront.dev/folder"

const (
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	selectedNode  = "volume.kubernetes.io/selected-node"
)

type provisioner struct {
	client kubernetes.Interface
	root   string // the folder that holds all volumes
	claims cache.Indexer
	queue  workqueue.TypedRateLimitingInterface[item]
}

// item is a claim to serve (with a namespace) or a volume to take back (without).
type item struct{ namespace, name string }

// Run serves claims until the context ends.
func Run(ctx context.Context, client kubernetes.Interface, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 10*time.Minute)
	claims := factory.Core().V1().PersistentVolumeClaims().Informer()
	volumes := factory.Core().V1().PersistentVolumes().Informer()
	p := &provisioner{
		client: client,
		root:   root,
		claims: claims.GetIndexer(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[item](100*time.Millisecond, 30*time.Second)),
	}
	for _, informer := range []cache.SharedIndexInformer{claims, volumes} {
		if _, err := informer.AddEventHandler(p.enqueue()); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	log.Printf("serving claims below %s", root)
	go func() { <-ctx.Done(); p.queue.ShutDown() }()
	for p.next(ctx) {
	}
	return ctx.Err()
}

func (p *provisioner) enqueue() cache.ResourceEventHandler {
	add := func(object any) {
		switch o := object.(type) {
		case *core.PersistentVolumeClaim:
			p.queue.Add(item{o.Namespace, o.Name})
		case *core.PersistentVolume:
			p.queue.Add(item{"", o.Name})
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, object any) { add(object) }}
}

func (p *provisioner) next(ctx context.Context) bool {
	it, closing := p.queue.Get()
	if closing {
		return false
	}
	defer p.queue.Done(it)
	serve := p.serveClaim
	if it.namespace == "" {
		serve = p.takeBack
	}
	if err := serve(ctx, it); err != nil {
		log.Printf("%s %s: %v; trying again", it.namespace, it.name, err)
		p.queue.AddRateLimited(it)
		return true
	}
	p.queue.Forget(it)
	return true
}

// serveClaim makes the folder and the volume of a claim that waits for us. The volume's
// name follows from the claim's uid, so doing it twice is doing it once.
func (p *provisioner) serveClaim(ctx context.Context, it item) error {
	object, found, err := p.claims.GetByKey(it.namespace + "/" + it.name)
	if err != nil || !found {
		return err
	}
	claim := object.(*core.PersistentVolumeClaim)
	if claim.Status.Phase == core.ClaimBound && claim.DeletionTimestamp == nil {
		return p.grow(ctx, claim)
	}
	if claim.Spec.VolumeName != "" || claim.Spec.StorageClassName == nil || claim.DeletionTimestamp != nil {
		return nil
	}
	class, err := p.client.StorageV1().StorageClasses().Get(ctx, *claim.Spec.StorageClassName, meta.GetOptions{})
	if errors.IsNotFound(err) || (err == nil && class.Provisioner != Name) {
		return nil
	}
	node := claim.Annotations[selectedNode] // the scheduler's choice: see volumeBindingMode
	if err != nil || node == "" {
		return err
	}
	volume := p.volume(claim, class, node)
	if err := makeFolder(volume.Spec.Local.Path); err != nil {
		return err
	}
	_, err = p.client.CoreV1().PersistentVolumes().Create(ctx, volume, meta.CreateOptions{})
	if errors.IsAlreadyExists(err) {
		return nil
	}
	if err == nil {
		log.Printf("%s/%s: made %s", claim.Namespace, claim.Name, volume.Spec.Local.Path)
	}
	return err
}

// grow gives a claim what it asks for beyond its capacity, volume first: a crash in between is finished by the next
// round. A folder has no size, so the numbers are all there is to it.
func (p *provisioner) grow(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	wanted, has := claim.Spec.Resources.Requests[core.ResourceStorage], claim.Status.Capacity[core.ResourceStorage]
	if wanted.Cmp(has) <= 0 {
		return nil
	}
	volume, err := p.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, meta.GetOptions{})
	if errors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	of := volume.Spec.ClaimRef
	if volume.Annotations[provisionedBy] != Name || of == nil || of.UID != claim.UID {
		return nil
	}
	if size := volume.Spec.Capacity[core.ResourceStorage]; size.Cmp(wanted) < 0 {
		volume = volume.DeepCopy()
		volume.Spec.Capacity[core.ResourceStorage] = wanted
		if _, err := p.client.CoreV1().PersistentVolumes().Update(ctx, volume, meta.UpdateOptions{}); err != nil {
			return err
		}
	}
	claim = claim.DeepCopy()
	if claim.Status.Capacity == nil {
		claim.Status.Capacity = core.ResourceList{}
	}
	claim.Status.Capacity[core.ResourceStorage] = wanted
	_, err = p.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, claim, meta.UpdateOptions{})
	if err == nil {
		log.Printf("%s/%s: grew to %s", claim.Namespace, claim.Name, wanted.String())
	}
	return err
}

// makeFolder widens the mode by hand, since the process' umask narrows what mkdir is given.
func makeFolder(path string) error {
	if err := os.Mkdir(path, 0o777); err != nil && !os.IsExist(err) {
		return err
	}
	return os.Chmod(path, 0o777)
}

func (p *provisioner) volume(claim *core.PersistentVolumeClaim, class *storage.StorageClass, node string) *core.PersistentVolume {
	name := "pvc-" + string(claim.UID)
	reclaim := core.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	onNode := core.NodeSelectorTerm{MatchExpressions: []core.NodeSelectorRequirement{
		{Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{node}},
	}}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: Name}},
		Spec: core.PersistentVolumeSpec{
			Capacity:                      core.ResourceList{core.ResourceStorage: claim.Spec.Resources.Requests[core.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: reclaim,
			StorageClassName:              class.Name,
			VolumeMode:                    claim.Spec.VolumeMode,
			ClaimRef: &core.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: core.PersistentVolumeSource{
				Local: &core.LocalVolumeSource{Path: filepath.Join(p.root, name)},
			},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{onNode}}},
		},
	}
}

// takeBack removes a released volume of ours and its folder, folder first: a crash in
// between is finished by the next round, while the other order would leak the folder.
func (p *provisioner) takeBack(ctx context.Context, it item) error {
	volume, err := p.client.CoreV1().PersistentVolumes().Get(ctx, it.name, meta.GetOptions{})
	if errors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	ours := volume.Annotations[provisionedBy] == Name && volume.Spec.Local != nil
	if !ours || volume.Status.Phase != core.VolumeReleased ||
		volume.Spec.PersistentVolumeReclaimPolicy != core.PersistentVolumeReclaimDelete {
		return nil
	}
	if !layout.Under(volume.Spec.Local.Path, p.root) {
		return fmt.Errorf("folder %s is not below %s; left alone", volume.Spec.Local.Path, p.root)
	}
	if err := os.RemoveAll(volume.Spec.Local.Path); err != nil {
		return err
	}
	err = p.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, meta.DeleteOptions{})
	if errors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		log.Printf("took back %s", volume.Spec.Local.Path)
	}
	return err
}
