"""Pictures to train on and to test with: folders of classes, augmentation, edges."""
