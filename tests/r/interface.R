# What an R user sees. test_in_r.py runs this file and reports each check.
library(reticulate)

options(warn = 2)
keras <- import("keras")
convt <- import("keras_convt")
builtins <- import_builtins()

layer_conv_1d_transpose <- convt$layer_conv_1d_transpose
layer_conv_2d_transpose <- convt$layer_conv_2d_transpose
shape <- function(x) unlist(keras$ops$shape(x))
values <- function(x) keras$ops$convert_to_numpy(x)
message_of <- function(expression) {
  tryCatch(
    {
      expression
      "no error"
    },
    error = conditionMessage
  )
}
expect_message <- function(words, expression) {
  found <- message_of(expression)
  if (!grepl(words, found, fixed = TRUE)) {
    stop("expected ", words, " in: ", found)
  }
}
config <- function(layer) {
  found <- layer$get_config()
  found$name <- NULL
  found
}
check <- function(name, code) {
  outcome <- tryCatch(
    {
      code
      "ok"
    },
    error = conditionMessage
  )
  cat("\n@", name, "@", gsub("\n", " ", outcome), "\n", sep = "")
}

check("the page's example", {
  x <- keras$random$uniform(c(4L, 10L, 128L))
  y <- x |> layer_conv_1d_transpose(32, 3, 2, activation = "relu")
  stopifnot(identical(shape(y), c(4L, 21L, 32L)))
})

check("integers, doubles, lists and vectors give the same", {
  expected <- config(layer_conv_1d_transpose(NULL, 32L, 3L, 2L))
  stopifnot(
    identical(config(layer_conv_1d_transpose(NULL, 32, 3, 2)), expected),
    identical(
      config(layer_conv_1d_transpose(NULL, 32, list(3), list(2))), expected
    ),
    identical(
      config(layer_conv_1d_transpose(NULL, 32, c(3), list(2L))), expected
    )
  )
  expected <- config(layer_conv_2d_transpose(NULL, 4L, c(3L, 5L), 2L))
  stopifnot(
    identical(
      config(layer_conv_2d_transpose(NULL, 4, c(3, 5), c(2, 2))), expected
    ),
    identical(
      config(layer_conv_2d_transpose(NULL, 4, list(3, 5), 2)), expected
    )
  )
})

check("NULL and TRUE are None and True", {
  layer <- layer_conv_1d_transpose(
    NULL, 4, 3,
    data_format = NULL, activation = NULL, use_bias = TRUE
  )
  stopifnot(
    isTRUE(layer$use_bias), layer$data_format == "channels_last",
    layer$get_config()$activation == "linear"
  )
})

check("crops are a vector", {
  x <- keras$ops$ones(c(1L, 5L, 1L))
  y <- layer_conv_1d_transpose(x, 1, 4, 2, padding = c(1, 2))
  stopifnot(identical(shape(y), c(1L, 9L, 1L)))
})

check("NULL or missing object gives the layer", {
  for (layer in list(
    layer_conv_1d_transpose(NULL, 4, 3),
    layer_conv_1d_transpose(filters = 4, kernel_size = 3),
    convt$layer_dense(NULL, 4),
    convt$layer_dense(units = 4)
  )) {
    stopifnot(builtins$isinstance(layer, keras$layers$Layer))
  }
})

check("a Sequential is the same Python object after piping", {
  model <- keras$Sequential(list(keras$Input(tuple(10L, 3L))))
  piped <- model |>
    layer_conv_1d_transpose(4, 3, 2) |>
    convt$layer_dense(2)
  stopifnot(
    identical(builtins$id(piped), builtins$id(model)),
    length(model$layers) == 2,
    identical(unlist(model$output_shape), c(21L, 2L))
  )
})

check("2.5, NA and NA_integer_ name the argument", {
  for (value in list(2.5, NA, NA_integer_, NA_real_)) {
    expect_message("`filters`", layer_conv_1d_transpose(NULL, value, 3))
    expect_message("`kernel_size`", layer_conv_1d_transpose(NULL, 4, value))
    expect_message(
      "`kernel_size`", layer_conv_1d_transpose(NULL, 4, list(value))
    )
    expect_message("`strides`", layer_conv_1d_transpose(NULL, 4, 3, value))
    expect_message(
      "`dilation_rate`",
      layer_conv_1d_transpose(NULL, 4, 3, dilation_rate = value)
    )
    expect_message(
      "`output_padding`",
      layer_conv_1d_transpose(NULL, 4, 3, 2, output_padding = value)
    )
    expect_message(
      "`padding`", layer_conv_1d_transpose(NULL, 4, 3, padding = value)
    )
  }
  for (value in list(NA, NA_integer_, NA_real_)) {
    expect_message("`units`", convt$layer_dense(NULL, value))
  }
  expect_message("kernel_size", convt$layer_conv_1d(NULL, 4, 2.5))
})

check("the object is made before the layer: names", {
  keras$utils$clear_session()
  inputs <- keras$Input(tuple(10L, 3L))
  model <- keras$Model(
    inputs,
    inputs |> layer_conv_1d_transpose(4, 3) |> layer_conv_1d_transpose(2, 3)
  )
  names <- sapply(model$layers[-1], function(layer) layer$name)
  stopifnot(identical(names, c("conv1d_transpose", "conv1d_transpose_1")))
  # An object that is refused costs no name.
  expect_message("`object`", layer_conv_1d_transpose("text", 4, 3))
  stopifnot(
    layer_conv_1d_transpose(NULL, 4, 3)$name == "conv1d_transpose_2"
  )
})

check("the object is made before the layer: seeds", {
  keras$utils$set_random_seed(5L)
  y <- keras$random$uniform(c(2L, 10L, 3L)) |> layer_conv_1d_transpose(4, 3, 2)
  expected <- py_run_string("
import keras
import keras_convt
keras.utils.set_random_seed(5)
x = keras.random.uniform((2, 10, 3))
y = keras.ops.convert_to_numpy(keras_convt.Conv1DTranspose(4, 3, 2)(x))
")$y
  stopifnot(identical(values(y), expected))
})

check("the numbers of a model equal Python's with the same seed", {
  keras$utils$set_random_seed(11L)
  x <- array(sin(1:96), dim = c(4, 8, 3))
  y <- x |>
    convt$layer_conv_1d(8, 3, padding = "same", activation = "relu") |>
    layer_conv_1d_transpose(8, 4, 2, padding = "same") |>
    convt$layer_dropout(0.5) |>
    convt$layer_dense(2)
  python <- py_run_string("
import keras
import numpy as np
import keras_convt
keras.utils.set_random_seed(11)
y = np.sin(np.arange(1, 97)).reshape((4, 8, 3), order='F')
y = keras.ops.convert_to_tensor(y, 'float32')
for layer in (
    lambda: keras.layers.Conv1D(8, 3, padding='same', activation='relu'),
    lambda: keras_convt.Conv1DTranspose(8, 4, 2, 'same'),
    lambda: keras.layers.Dropout(0.5),
    lambda: keras.layers.Dense(2),
):
    y = layer()(y)
y = keras.ops.convert_to_numpy(y)
")$y
  stopifnot(max(abs(values(y) - python)) < 1e-6, max(abs(python)) > 0.1)
})

check("R's arrays are taken and cast", {
  x <- array(as.double(1:60), dim = c(2, 10, 3))
  layer <- layer_conv_1d_transpose(
    NULL, 1, 1,
    kernel_initializer = "ones"
  )
  stopifnot(
    all.equal(
      values(layer(x)), array(apply(x, c(1, 2), sum), dim = c(2, 10, 1))
    ),
    grepl("float32", as.character(layer(x)$dtype))
  )
  y <- x |> layer_conv_1d_transpose(1, 1, kernel_initializer = "ones")
  stopifnot(all.equal(values(y), values(layer(x))))
})

check("a user's class is composed", {
  Scale <- py_run_string("
import keras
class Scale(keras.layers.Layer):
    def __init__(self, times, **kwargs):
        super().__init__(**kwargs)
        self.times = times
    def call(self, inputs):
        return inputs * self.times
")$Scale
  layer_scale <- convt$create_layer_wrapper(Scale)
  y <- array(c(1, 2, 3)) |> layer_scale(2)
  stopifnot(all(values(y) == c(2, 4, 6)))
})

# As R's keras3 writes them: functions that call what Python has.
activation_relu <- function(x, negative_slope = 0, max_value = NULL,
                            threshold = 0) {
  keras$activations$relu(x, negative_slope, max_value, threshold)
}
activation_softmax <- structure(
  function(x, axis = -1L) keras$activations$softmax(x, axis),
  py_function_name = "softmax"
)
initializer_he_normal <- function(seed = NULL) {
  keras$initializers$HeNormal(seed)
}
regularizer_l2 <- function(l2 = 0.01) keras$regularizers$L2(l2)
constraint_nonneg <- function() keras$constraints$NonNeg()

check("functions of R become what Keras has", {
  layer <- layer_conv_1d_transpose(
    NULL, 4, 3,
    activation = activation_relu,
    kernel_initializer = initializer_he_normal,
    kernel_regularizer = regularizer_l2,
    kernel_constraint = constraint_nonneg,
    bias_regularizer = regularizer_l2(0.5)
  )
  expected <- layer_conv_1d_transpose(
    NULL, 4, 3,
    activation = "relu", kernel_initializer = "he_normal",
    kernel_regularizer = "l2", kernel_constraint = "non_neg",
    bias_regularizer = keras$regularizers$L2(0.5)
  )
  stopifnot(
    identical(config(layer), config(expected)),
    layer$get_config()$activation == "relu",
    convt$layer_dense(NULL, 2, activation_softmax)$get_config()$activation ==
      "softmax",
    convt$layer_activation(NULL, activation_relu)$get_config()$activation ==
      "relu"
  )
})

check("a model with functions of R is trained, saved and loaded", {
  model <- keras$Sequential(list(keras$Input(tuple(NULL, 2L)))) |>
    layer_conv_1d_transpose(
      3, 4, 2,
      activation = activation_relu, kernel_initializer = initializer_he_normal,
      kernel_regularizer = regularizer_l2
    )
  model$compile("sgd", "mse")
  x <- array(sin(1:40), dim = c(2, 10, 2))
  y <- array(0, dim = c(2, 22, 3))
  model$fit(x, y, epochs = 1L, verbose = 0L)
  path <- file.path(tempdir(), "functions.keras")
  model$save(path)
  loaded <- keras$models$load_model(path)
  stopifnot(all.equal(
    loaded$predict(x, verbose = 0L), model$predict(x, verbose = 0L)
  ))
})

check("what no file can hold is named when it is passed", {
  warnings_of <- py_run_string("
import warnings
def warnings_of(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        call()
    return ' '.join(str(one.message) for one in caught)
")$warnings_of
  found <- warnings_of(function() {
    layer_conv_1d_transpose(NULL, 4, 3, activation = function(x) x * 2)
  })
  stopifnot(grepl("`activation` is a function of R", found, fixed = TRUE))
})

check("NA in a shape is an unknown size", {
  model <- keras$Sequential() |>
    convt$layer_input_layer(shape = c(NA, 8)) |>
    layer_conv_1d_transpose(4, 3, 2)
  stopifnot(identical(model$output_shape, list(NULL, NULL, 4L)))
  y <- keras$ops$ones(c(2L, 6L)) |> convt$layer_reshape(c(NA, 3))
  stopifnot(identical(shape(y), c(2L, 2L, 3L)))
  y <- keras$ops$ones(c(2L, 6L)) |> convt$layer_reshape(list(NA_integer_, 3L))
  stopifnot(identical(shape(y), c(2L, 2L, 3L)))
})

check("what R's Layer() returns is composed", {
  Scale <- py_run_string("
import keras
class ScaleOfR(keras.layers.Layer):
    def __init__(self, times, **kwargs):
        super().__init__(**kwargs)
        self.times = times
    def call(self, inputs):
        return inputs * self.times
")$ScaleOfR
  # Layer() of keras3 returns a function like this one.
  layer_scale_in_r <- function(object, times, ...) {
    layer <- Scale(times = times, ...)
    if (missing(object) || is.null(object)) layer else layer(object)
  }
  layer_scale <- convt$create_layer_wrapper(layer_scale_in_r)
  y <- array(c(1, 2, 3)) |> layer_scale(2)
  stopifnot(
    all(values(y) == c(2, 4, 6)), layer_scale(times = 4, name = "s")$times == 4
  )
})

check("arguments have the names of R's pages", {
  x <- keras$ops$ones(c(2L, 3L, 4L))
  stopifnot(
    all(values(convt$layer_add(inputs = list(x, x))) == 2),
    all(values(convt$layer_lambda(x, f = keras$ops$negative)) == -1),
    identical(
      shape(convt$layer_multi_head_attention(list(x, x), 2, 3)), c(2L, 3L, 4L)
    )
  )
})

check("names are not completed, but suggested", {
  expect_message("'activation'", convt$layer_dense(NULL, 4, activ = "relu"))
  expect_message("'layer_dense'", convt$layer_dens)
})

check("data_format follows padding, by position", {
  x <- keras$ops$ones(c(1L, 2L, 5L))
  y <- layer_conv_1d_transpose(x, 6, 3, 2, "valid", "channels_first")
  stopifnot(identical(shape(y), c(1L, 6L, 11L)))
})

check("tensors are merged as a list or one by one", {
  x <- keras$ops$ones(c(2L, 3L))
  stopifnot(
    identical(shape(convt$layer_concatenate(list(x, x))), c(2L, 6L)),
    identical(shape(convt$layer_concatenate(x, x, axis = 0)), c(4L, 3L)),
    all(values(convt$layer_add(x, x, x)) == 3)
  )
})

check("cells are made without an object", {
  cells <- convt$rnn_cells_stack(
    list(convt$rnn_cell_gru(2), convt$rnn_cell_simple(units = 4))
  )
  y <- keras$ops$ones(c(2L, 5L, 3L)) |> convt$layer_rnn(cells)
  stopifnot(identical(shape(y), c(2L, 4L)))
})

check("tab completion shows the layers", {
  stopifnot(all(c("layer_dense", "rnn_cell_gru") %in% names(convt)))
})

check("a layer that is not here says why", {
  expect_message("jax or tensorflow", convt$layer_flax_module_wrapper)
  expect_message("which is installed", convt$layer_nothing)
})
