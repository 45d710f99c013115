"""From Slide to Softmax: fine-tune the top of an ImageNet-trained Xception on breast tumour images.

One module a station of an image's journey; each imports only from those before it:

    paper  cache  images  dataset  practice (practice_tissue)  inventory  download (archive)
    splits  weights  network (backend)  costs  features  finetune  records  metrics  tables
    figures  diagrams  journey  cli

Importing this package imports none of them, and no TensorFlow: `from breakhis_lib import dataset`.
Not for clinical use.
"""

__version__ = "0.1.0"
