package provision

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

// serve runs the provisioner on a cluster that has these objects. What is made later than they are may be missed: the
// fake client shows nothing that happens between its list and its watch.
func serve(t *testing.T, objects ...runtime.Object) (*fake.Clientset, string) {
	t.Helper()
	class := &storage.StorageClass{ObjectMeta: meta.ObjectMeta{Name: "standard"}, Provisioner: Name}
	other := &storage.StorageClass{ObjectMeta: meta.ObjectMeta{Name: "other"}, Provisioner: "somebody.else"}
	client := fake.NewClientset(append(objects, class, other)...)
	root := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = Run(ctx, client, root) }()
	t.Cleanup(func() { cancel(); <-done })
	return client, root
}

func claim(name, class, node string) *core.PersistentVolumeClaim {
	c := &core.PersistentVolumeClaim{
		ObjectMeta: meta.ObjectMeta{Namespace: "shops", Name: name, UID: "uid-" + "1", Annotations: map[string]string{}},
		Spec:       core.PersistentVolumeClaimSpec{StorageClassName: &class},
	}
	if node != "" {
		c.Annotations[selectedNode] = node
	}
	return c
}

func until(t *testing.T, what string, probe func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !probe(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func TestAClaimGetsAFolderThatAnyUidMayWriteAndLosesItWhenReleased(t *testing.T) {
	client, root := serve(t)
	ctx := context.Background()
	if _, err := client.CoreV1().PersistentVolumeClaims("shops").Create(ctx, claim("data", "standard", "node-1"), meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var volume *core.PersistentVolume
	until(t, "no volume", func() bool {
		var err error
		volume, err = client.CoreV1().PersistentVolumes().Get(ctx, "pvc-uid-1", meta.GetOptions{})
		return err == nil
	})
	folder := filepath.Join(root, "pvc-uid-1")
	info, err := os.Stat(folder)
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Fatalf("%v %v", info, err)
	}
	if volume.Spec.Local.Path != folder || volume.Spec.ClaimRef.Name != "data" {
		t.Fatalf("%+v", volume.Spec)
	}
	if err := os.WriteFile(filepath.Join(folder, "row"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	volume.Status.Phase = core.VolumeReleased
	if _, err := client.CoreV1().PersistentVolumes().Update(ctx, volume, meta.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the folder stays", func() bool { _, err := os.Stat(folder); return os.IsNotExist(err) })
}

func TestABoundClaimGrowsWithItsVolume(t *testing.T) {
	ctx, size := context.Background(), core.ResourceStorage
	list := func(text string) core.ResourceList { return core.ResourceList{size: resource.MustParse(text)} }
	bound := claim("data", "standard", "node-1")
	bound.Spec.VolumeName = "pvc-uid-1"
	bound.Spec.Resources.Requests = list("2Gi")
	bound.Status = core.PersistentVolumeClaimStatus{Phase: core.ClaimBound, Capacity: list("1Gi")}
	foreign := bound.DeepCopy()
	foreign.Name, foreign.Spec.VolumeName = "foreign", "theirs"
	objects := []runtime.Object{foreign, bound}
	for name, by := range map[string]string{"pvc-uid-1": Name, "theirs": "somebody.else"} {
		objects = append(objects, &core.PersistentVolume{
			ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: by}},
			Spec:       core.PersistentVolumeSpec{Capacity: list("1Gi"), ClaimRef: &core.ObjectReference{UID: bound.UID}},
		})
	}
	client, _ := serve(t, objects...)
	capacity := func(name string) string {
		c, err := client.CoreV1().PersistentVolumeClaims("shops").Get(ctx, name, meta.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		has := c.Status.Capacity[size]
		return has.String()
	}
	until(t, "it does not grow", func() bool { return capacity("data") == "2Gi" })
	volume, err := client.CoreV1().PersistentVolumes().Get(ctx, "pvc-uid-1", meta.GetOptions{})
	if has := volume.Spec.Capacity[size]; err != nil || has.String() != "2Gi" {
		t.Fatalf("%v %v", has.String(), err)
	}
	if capacity("foreign") != "1Gi" {
		t.Fatal("a volume of somebody else grew")
	}
}

func TestAFolderOutsideTheVolumesIsNeverRemoved(t *testing.T) {
	client, _ := serve(t)
	outside := t.TempDir()
	volume := &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: "forged", Annotations: map[string]string{provisionedBy: Name}},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: outside}},
		},
		Status: core.PersistentVolumeStatus{Phase: core.VolumeReleased},
	}
	p := &provisioner{client: client, root: "/nowhere/volumes"}
	if _, err := client.CoreV1().PersistentVolumes().Create(context.Background(), volume, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := p.takeBack(context.Background(), item{"", "forged"}); err == nil {
		t.Fatal("it was taken back")
	}
	if _, err := os.Stat(outside); err != nil {
		t.Fatal(err)
	}
}

func TestClaimsOfOthersAndUnscheduledClaimsAreLeftAlone(t *testing.T) {
	client, root := serve(t)
	for _, c := range []*core.PersistentVolumeClaim{claim("foreign", "other", "node-1"), claim("waiting", "standard", "")} {
		if _, err := client.CoreV1().PersistentVolumeClaims("shops").Create(context.Background(), c, meta.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	if entries, _ := os.ReadDir(root); len(entries) != 0 {
		t.Fatalf("%v", entries)
	}
}
