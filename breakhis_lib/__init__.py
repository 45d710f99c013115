"""From Slide to Softmax: fine-tune the top of an ImageNet-trained Xception on breast tumour images.

One module a station of an image's journey; each imports only from those before it:

    paper  check  cache  images  dataset  practice (practice_tissue)  inventory  download (archive)
    splits  leakage  weights  network (backend)  costs  features  finetune  controls  records
    metrics  compare  calibration  decisions  heatmaps  tables  figures  interactive  report
    diagrams  evidence  ledger  journey  cli

Importing this package imports none of them, and no TensorFlow: `from breakhis_lib import dataset`.
Not for clinical use.
"""

__version__ = "0.1.0"
