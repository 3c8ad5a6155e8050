def matting(content, weight):
    raise NotImplementedError


def smooth_like(pixels, photograph, strength):
    raise NotImplementedError
