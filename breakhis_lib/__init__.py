"""From Slide to Softmax: fine-tune the top of an ImageNet-trained Xception on breast tumour images.

A room is known by what it may import (tests/test_house.py holds the order):

    errors  files  cache  paper    nothing else of ours
    data                    images in: fields and splits
    practice                simulated slides; imports data
    model                   Xception and its heads, the only room with Keras; imports data
    evaluation              from predictions to tables and pages; imports data, and of model only readings
    book                    what only the pages need
    experiment  cli         from a folder to a record; and the door

Importing this package imports none of them, and no TensorFlow: `from breakhis_lib.data import dataset`.
Not for clinical use.
"""

__version__ = "0.1.0"
