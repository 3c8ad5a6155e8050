class Segmenter: ...


def load_segmenter(model, weights=None):
    raise NotImplementedError
